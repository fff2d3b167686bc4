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
  let [low, high, next] = [least, most, hint];
  while (high - low > 1) {
    const isHint = next !== null && next > low && next < high;
    const size: number = isHint && next !== null ? next : (low + high) >> 1;
    const found = await passes(size);
    next = null;
    if (!found.passed) {
      high = size;
      next = found.mtuBytes;
      continue;
    }
    low = size;
    // Where a router names its bound and just that passes, one more byte shows that this is it.
    if (isHint) next = size + 1;
  }
  return low;
}
