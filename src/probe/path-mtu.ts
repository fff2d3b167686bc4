/** Finds the longest packet that passes by halving, helped by what routers say. */

/** One attempt: it passed, or what a router said was the most that passes; null: nobody said anything. */
export type Passage =
  | { readonly passed: true }
  | { readonly passed: false; readonly mtuBytes: number | null };

/**
 * `passes` of the sizes between, which `least` is known to be and `most` known not to be. A router's word is tried, not
 * believed: others may follow behind it.
 */
export async function longestPassing(
  least: number,
  most: number,
  hint: number | null,
  passes: (packetBytes: number) => Promise<Passage>,
): Promise<number> {
  let [low, high, said] = [least, most, hint];
  while (high - low > 1) {
    const isHint: boolean = said !== null && said > low && said < high;
    const size: number = isHint && said !== null ? said : (low + high) >> 1;
    const found = await passes(size);
    if (!found.passed) {
      [high, said] = [size, found.mtuBytes];
      continue;
    }
    low = size;
    said = null;
    // Where just that passes which a router named, one more byte shows that this is its bound.
    if (isHint && high - low > 1) {
      const more = await passes(low + 1);
      if (more.passed) low += 1;
      else high = low + 1;
    }
  }
  return low;
}
