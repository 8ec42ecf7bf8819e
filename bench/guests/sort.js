// Sorts 50,000 numbers.
export function handle() {
  const list = [];
  let x = 12345;
  for (let i = 0; i < 50000; i++) {
    x = (x * 1103515245 + 12345) % 2147483648;
    list.push(x);
  }
  list.sort((a, b) => a - b);
  return [list[0], list[25000], list[49999]];
}
