// fib(25), by 240,000 calls.
const fib = (n) => (n < 2 ? n : fib(n - 1) + fib(n - 2));
export const handle = () => fib(25);
