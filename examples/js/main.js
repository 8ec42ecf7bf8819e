// A to-do list: handle(event, context) with an event such as {"do":"add","text":"buy tea"}.

const actions = {
  async add({ text }) {
    if (!text) throw new TypeError("a to-do needs a text");
    return flagbase.table.put("todos", { text, done: false });
  },

  async list() {
    const records = await flagbase.table.query("todos", {
      filters: [{ column: "done", operator: "eq", value: false }],
      order_by: [{ column: "_created_at" }],
    });
    return records.map((r) => ({ id: r._id, text: r.data.text }));
  },

  async done({ id }) {
    const todo = await flagbase.table.get("todos", id);
    await flagbase.table.delete("todos", id);
    await flagbase.bucket.put("done", `${id}.json`, JSON.stringify(todo.data));
    flagbase.metrics.publish("todos_done", 1, { by: flagbase.context.caller?.user_id ?? "nobody" });
    return { archived: await flagbase.bucket.list("done") };
  },

  async undo({ id }) {
    const data = JSON.parse(await flagbase.bucket.get("done", `${id}.json`));
    await flagbase.bucket.delete("done", `${id}.json`);
    return flagbase.table.put("todos", data);
  },

  async count() {
    const texts = (await actions.list()).map((t) => t.text).join("\n");
    return JSON.parse(await flagbase.fn.invoke("go-command", texts));
  },
};

export async function handle(event, context) {
  console.log("todo:", event.do, "in trace", context.traceId);
  const action = actions[event.do];
  if (!action) throw new TypeError(`unknown action ${JSON.stringify(event.do)}: use ${Object.keys(actions).join(", ")}`);
  return action(event);
}
