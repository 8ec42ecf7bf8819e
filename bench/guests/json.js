// Ten round trips of a thousand records.
export function handle() {
  let records = [];
  for (let i = 0; i < 1000; i++) records.push({ id: i, name: "record " + i, tags: ["a", "b", String(i)], nested: { value: i * 1.5, ok: i % 2 === 0 } });
  let size = 0;
  for (let i = 0; i < 10; i++) {
    const text = JSON.stringify(records);
    size += text.length;
    records = JSON.parse(text);
  }
  return size;
}
