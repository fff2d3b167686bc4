/**
 * Random tests: a failure prints its seed. TWILL_TEST_SEED repeats a run, TWILL_PROPERTY_RUNS sets how often each property
 * is tried.
 */
const { TWILL_TEST_SEED: seed, TWILL_PROPERTY_RUNS: wantedRuns } = process.env;

/** For fc.assert. */
export function times(runs: number): { numRuns: number; seed?: number } {
  return { numRuns: Number(wantedRuns ?? runs), ...(seed !== undefined && { seed: Number(seed) }) };
}
