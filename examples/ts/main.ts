// A landing page with an experiment: export default { fetch(request, env, ctx) }.

interface Flagbase {
  flag: { evaluate(key: string): boolean; variant(key: string): string };
  http: { fetch(url: string): { status: number; text(): string } };
  metrics: { publish(name: string, value: number, tags?: Record<string, string>): void };
  context: { caller: { user_id: string } | null; traceId: string };
}
declare const flagbase: Flagbase;

type Variant = "plain" | "bold";

function headline(): Variant {
  return flagbase.flag.variant("headline") as Variant;
}

const pages: Record<Variant, (who: string) => string> = {
  plain: (who) => `<p>Hello, ${who}</p>`,
  bold: (who) => `<h1>HELLO, ${who.toUpperCase()}</h1>`,
};

export default {
  async fetch(request: Request): Promise<Response> {
    const url = new URL(request.url);
    if (!flagbase.flag.evaluate("open")) return new Response("closed", { status: 503 });

    if (url.pathname === "/weather") {
      const upstream = flagbase.http.fetch(url.searchParams.get("from") ?? "https://example.com/");
      return new Response(`it is ${upstream.text()}`, { status: upstream.status });
    }
    if (request.method === "POST") {
      const body = (await request.json()) as { email: string };
      return Response.json({ welcome: body.email, trace: flagbase.context.traceId }, { status: 201 });
    }
    const variant = headline();
    flagbase.metrics.publish("page_view", 1, { variant });
    return new Response(pages[variant](flagbase.context.caller?.user_id ?? "stranger"), {
      headers: { "content-type": "text/html", "x-variant": variant },
    });
  },
};
