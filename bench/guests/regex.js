// Finds dates and addresses in 200 KB of text.
export function handle() {
  const parts = [];
  for (let i = 0; i < 4000; i++) parts.push("on 2026-" + String(10 + (i % 3)) + "-" + String(10 + (i % 19)) + " user" + i + "@example.com wrote line " + i);
  const text = parts.join("\n");
  let found = 0;
  for (const m of text.matchAll(/(\d{4})-(\d{2})-(\d{2})/g)) found += Number(m[3]);
  for (const m of text.matchAll(/([a-z0-9._]+)@([a-z]+)\.com/gi)) found += m[1].length;
  return found + text.replace(/\s+/g, " ").length;
}
