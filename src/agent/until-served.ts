/** Patience with a store that does not serve now: at a start there is nothing else to do than to wait for it. */
import { TwillError } from '../errors.js';
import type { Logger } from '../observe/log.js';
import type { Clock } from './clock.js';

const firstRetryMs = 100;
/** With a quarter more, two seconds: so soon after its return we go on. */
const longestRetryMs = 1600;

/**
 * The result of `act`, tried again while the store cannot serve or has no configuration yet. Says what is wrong once,
 * and again when it is over. Throws ERR_TWILL_CLOSED when `signal` aborts.
 */
export async function untilServed<T>(
  act: () => Promise<T>,
  { clock, logger, random }: { clock: Clock; logger: Logger; random: () => number },
  signal: AbortSignal,
): Promise<T> {
  let said = '';
  for (let failures = 0; !signal.aborted; failures++) {
    try {
      const result = await act();
      if (said !== '') logger.info('the store serves now');
      return result;
    } catch (error) {
      if (!mayPass(error) || signal.aborted) throw error;
      if (error.message !== said) logger.warn({ err: error }, `waiting for the store: ${error.message}`);
      said = error.message;
      const stepMs = Math.min(firstRetryMs * 2 ** failures, longestRetryMs);
      await clock.sleep(stepMs * (0.75 + 0.5 * random()), signal);
    }
  }
  throw new TwillError('ERR_TWILL_CLOSED', 'stopped while waiting for the store');
}

function mayPass(error: unknown): error is TwillError {
  return (
    error instanceof TwillError &&
    (error.code === 'ERR_TWILL_STORE_UNAVAILABLE' || error.code === 'ERR_TWILL_STORE_EMPTY')
  );
}
