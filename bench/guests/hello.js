export function handle(event) {
  return { hello: event.name, length: event.name.length };
}
