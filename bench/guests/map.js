// A map of 50,000 entries: set, get, delete and walk.
export function handle() {
  const map = new Map();
  for (let i = 0; i < 50000; i++) map.set("key" + i, i);
  let sum = 0;
  for (let i = 0; i < 50000; i++) sum += map.get("key" + i);
  for (let i = 0; i < 50000; i += 2) map.delete("key" + i);
  for (const [key, value] of map) sum += value + key.length;
  return sum;
}
