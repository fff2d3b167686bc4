/**
 * Cut what the API server sends as it comes, so that no more than one object of it is in memory: a List into its items,
 * a watch into its lines. A server can be anything; what is too long, or no List, is an error.
 */

const LONGEST_OBJECT_BYTES = 16 * 1024 * 1024;
const LONGEST_ENVELOPE_BYTES = 1024 * 1024;

const [QUOTE, BACKSLASH, OPEN_BRACE, CLOSE_BRACE, OPEN_BRACKET, CLOSE_BRACKET, COMMA] =
  Buffer.from('"\\{}[],');

/** Of `{"metadata":{...},"items":[{...},{...}]}` hands out each item, and at the end the rest with no items in it. */
export class ItemSplitter {
  readonly #onItem: (json: string) => void;
  /** What is around the items. */
  #envelope: Buffer[] = [];
  #envelopeBytes = 0;
  #tail = '';
  /** Parts of the item that is under way. */
  #item: Buffer[] = [];
  #itemBytes = 0;
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  /** Between the brackets behind "items". */
  #isInItems = false;

  constructor(onItem: (json: string) => void) {
    this.#onItem = onItem;
  }

  write(chunk: Buffer): void {
    // Of this chunk, from where on nothing has been put away.
    let from = 0;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at];
      if (this.#isInString) {
        if (this.#isEscaped) this.#isEscaped = false;
        else if (byte === BACKSLASH) this.#isEscaped = true;
        else if (byte === QUOTE) this.#isInString = false;
        continue;
      }
      switch (byte) {
        case QUOTE:
          if (this.#isInItems && this.#depth === 2) throw new Error('an item is no object');
          this.#isInString = true;
          break;
        case OPEN_BRACE:
        case OPEN_BRACKET:
          if (this.#isInItems && this.#depth === 2) {
            if (byte === OPEN_BRACKET) throw new Error('an item is no object');
            from = at;
          }
          this.#depth += 1;
          if (byte === OPEN_BRACKET && this.#depth === 2 && !this.#isInItems) {
            this.#keep(chunk.subarray(from, at + 1));
            from = at + 1;
            this.#isInItems = /"items"\s*:\s*\[$/.test(this.#tail);
          }
          break;
        case CLOSE_BRACE:
        case CLOSE_BRACKET:
          this.#depth -= 1;
          if (!this.#isInItems) break;
          if (this.#depth === 2) {
            this.#emit(chunk.subarray(from, at + 1));
            from = at + 1;
          } else if (this.#depth === 1) {
            this.#isInItems = false;
            from = at;
          }
          break;
        default:
          if (this.#isInItems && this.#depth === 2 && byte !== COMMA && byte !== undefined && byte > 0x20)
            throw new Error('an item is no object');
      }
    }
    const rest = chunk.subarray(from);
    if (!this.#isInItems) this.#keep(rest);
    else if (this.#depth > 2) this.#take(rest);
  }

  /** What was around the items. Throws where the List has not come to its end. */
  end(): unknown {
    if (this.#depth !== 0 || this.#envelopeBytes === 0) throw new Error('the list broke off');
    return JSON.parse(Buffer.concat(this.#envelope).toString('utf8'));
  }

  #emit(last: Buffer): void {
    this.#take(last);
    const json = Buffer.concat(this.#item).toString('utf8');
    this.#item = [];
    this.#itemBytes = 0;
    this.#onItem(json);
  }

  #take(part: Buffer): void {
    this.#itemBytes += part.length;
    if (this.#itemBytes > LONGEST_OBJECT_BYTES)
      throw new Error(`an item is longer than ${LONGEST_OBJECT_BYTES} bytes`);
    this.#item.push(part);
  }

  #keep(part: Buffer): void {
    this.#envelopeBytes += part.length;
    if (this.#envelopeBytes > LONGEST_ENVELOPE_BYTES) throw new Error('what is around the items is too long');
    this.#envelope.push(part);
    this.#tail = (this.#tail + part.toString('latin1')).slice(-64);
  }
}

/** Hands out each line that has ended. */
export class LineSplitter {
  readonly #onLine: (line: string) => void;
  #parts: Buffer[] = [];
  #bytes = 0;

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  write(chunk: Buffer): void {
    let from = 0;
    for (;;) {
      const end = chunk.indexOf(10, from);
      this.#take(chunk.subarray(from, end < 0 ? undefined : end));
      if (end < 0) return;
      from = end + 1;
      const line = Buffer.concat(this.#parts).toString('utf8');
      this.#parts = [];
      this.#bytes = 0;
      if (line.trim() !== '') this.#onLine(line);
    }
  }

  #take(part: Buffer): void {
    if (part.length === 0) return;
    this.#bytes += part.length;
    if (this.#bytes > LONGEST_OBJECT_BYTES)
      throw new Error(`a line is longer than ${LONGEST_OBJECT_BYTES} bytes`);
    this.#parts.push(part);
  }
}
