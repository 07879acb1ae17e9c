/**
 * A frame on a Unix socket: header length and body length (unsigned 32-bit, little-endian), the header as
 * JSON in UTF-8, the body as it is. Validating the header is the caller's part.
 */
export interface Frame {
  readonly header: unknown;
  readonly body: Buffer;
}

const PREFIX_BYTES = 8;
/** A header is a few hundred bytes, or a batch of 1,000 long prompts. */
const MAX_HEADER_BYTES = 32 * 1024 * 1024;
/** The largest picture that the contract allows, three times over. */
const MAX_BODY_BYTES = 3 * 4096 * 4096 * 3;

export function encodeFrame(header: object, body: Uint8Array = new Uint8Array()): Buffer[] {
  const json = Buffer.from(JSON.stringify(header));
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32LE(json.length, 0);
  prefix.writeUInt32LE(body.byteLength, 4);
  const head = Buffer.concat([prefix, json]);
  return body.byteLength === 0 ? [head] : [head, Buffer.from(body.buffer, body.byteOffset, body.byteLength)];
}

/**
 * Reads frames from a stream of chunks; ends with the stream.
 * @throws Error on a frame that is too large, not JSON, or cut off: the other side is not one of ours
 */
export async function* readFrames(chunks: AsyncIterable<Buffer>): AsyncGenerator<Frame> {
  const pending: Buffer[] = [];
  let available = 0;
  const take = (length: number): Buffer => {
    const joined = pending.length === 1 ? (pending[0] as Buffer) : Buffer.concat(pending);
    pending.length = 0;
    if (joined.length > length) pending.push(joined.subarray(length));
    available -= length;
    return joined.subarray(0, length);
  };
  let lengths: { header: number; body: number } | undefined;
  for await (const chunk of chunks) {
    pending.push(chunk);
    available += chunk.length;
    for (;;) {
      if (!lengths) {
        if (available < PREFIX_BYTES) break;
        const prefix = take(PREFIX_BYTES);
        lengths = { header: prefix.readUInt32LE(0), body: prefix.readUInt32LE(4) };
        if (lengths.header > MAX_HEADER_BYTES || lengths.body > MAX_BODY_BYTES) {
          throw new Error(`frame too large [header=${lengths.header}, body=${lengths.body}]`);
        }
      }
      if (available < lengths.header + lengths.body) break;
      const header: unknown = JSON.parse(take(lengths.header).toString('utf8'));
      // A copy: the body outlives the chunks that it came in.
      const body = Buffer.from(take(lengths.body));
      lengths = undefined;
      yield { header, body };
    }
  }
  if (available > 0 || lengths) throw new Error('the connection ended in the middle of a frame');
}
