// The JSON hello on Node's own HTTP server: node node.js PORT
require("http").createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    if (parts.length === 0) return response.end("ready");
    const event = JSON.parse(Buffer.concat(parts).toString());
    const body = JSON.stringify({ hello: event.name, length: event.name.length });
    response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) });
    response.end(body);
  });
}).listen(Number(process.argv.at(-1)), "127.0.0.1");
