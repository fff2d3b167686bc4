import { TwillError, type TwillErrorCode } from '../errors.js';

/** Runs a call into the addon; its errors come out as TwillError. */
export function guard<T>(call: () => T): T {
  try {
    return call();
  } catch (cause) {
    throw translated(cause);
  }
}

/** What the addon threw, as the library throws it: for calls that are too frequent for a closure each. */
export function translated(cause: unknown): unknown {
  const native = cause as { code?: string; message?: string; errno?: number; syscall?: string };
  if (typeof native.code !== 'string' || !native.code.startsWith('ERR_TWILL_')) return cause;
  return new TwillError(native.code as TwillErrorCode, native.message ?? '', {
    ...(native.errno === undefined ? {} : { errno: native.errno }),
    ...(native.syscall === undefined ? {} : { syscall: native.syscall }),
    cause,
  });
}
