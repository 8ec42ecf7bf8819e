// A visitors' book in AssemblyScript, straight on the host module "flagbase": the
// event is a name, the output a line of JSON. It shows every way of sizing a buffer.

// @ts-ignore: decorator
@external("flagbase", "event_len") declare function event_len(): u32;
// @ts-ignore: decorator
@external("flagbase", "event_read") declare function event_read(out: usize, len: u32): u32;
// @ts-ignore: decorator
@external("flagbase", "result_len") declare function result_len(): u32;
// @ts-ignore: decorator
@external("flagbase", "result_read") declare function result_read(out: usize, len: u32): u32;
// @ts-ignore: decorator
@external("flagbase", "error_len") declare function error_len(): u32;
// @ts-ignore: decorator
@external("flagbase", "error_read") declare function error_read(out: usize, len: u32): u32;
// @ts-ignore: decorator
@external("flagbase", "bucket_get") declare function bucket_get(bucket: usize, bucketLen: u32, key: usize, keyLen: u32): u32;
// @ts-ignore: decorator
@external("flagbase", "bucket_put") declare function bucket_put(bucket: usize, bucketLen: u32, key: usize, keyLen: u32, data: usize, dataLen: u32): u32;
// @ts-ignore: decorator
@external("flagbase", "bucket_list") declare function bucket_list(bucket: usize, bucketLen: u32): u32;
// @ts-ignore: decorator
@external("flagbase", "bucket_delete") declare function bucket_delete(bucket: usize, bucketLen: u32, key: usize, keyLen: u32): u32;

const FAILED: u32 = 0xffffffff;
const book = String.UTF8.encode("visitors");

// @ts-ignore: decorator
@inline function at(b: ArrayBuffer): usize {
  return changetype<usize>(b);
}

function event(): ArrayBuffer {
  const b = new ArrayBuffer(event_len());
  event_read(at(b), b.byteLength);
  return b;
}

function result(): ArrayBuffer {
  const b = new ArrayBuffer(result_len());
  result_read(at(b), b.byteLength);
  return b;
}

function error(): string {
  const b = new ArrayBuffer(error_len());
  error_read(at(b), b.byteLength);
  return String.UTF8.decode(b);
}

function escape(s: string): string {
  return s.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", " ");
}

/** handle returns where its output is and how long: pointer << 32 | length. */
export function handle(): u64 {
  const name = event();
  let visits: i32 = 0;
  let first = "";
  if (bucket_get(at(book), book.byteLength, at(name), name.byteLength) == FAILED) {
    first = error(); // no such object: the first visit
  } else {
    visits = I32.parseInt(String.UTF8.decode(result()));
  }
  visits++;
  const data = String.UTF8.encode(visits.toString());
  if (bucket_put(at(book), book.byteLength, at(name), name.byteLength, at(data), data.byteLength) != 1) {
    return output('{"error":"' + escape(error()) + '"}');
  }
  bucket_list(at(book), book.byteLength);
  const names = String.UTF8.decode(result());
  if (visits >= 3) bucket_delete(at(book), book.byteLength, at(name), name.byteLength); // start over
  return output('{"visits":' + visits.toString() + ',"names":' + names + ',"first":"' + escape(first) + '"}');
}

function output(s: string): u64 {
  const b = String.UTF8.encode(s);
  return ((at(b) as u64) << 32) | b.byteLength;
}
