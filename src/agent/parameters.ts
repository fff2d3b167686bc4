/** What a request on the control socket carries, checked. Pure. */
import { TwillError } from '../errors.js';
import type { Json } from '../net/json.js';

/** Throws ERR_TWILL_ARGUMENT. */
export function textParameter(params: Json, name: string): string {
  const value =
    params !== null && typeof params === 'object' && !Array.isArray(params) ? params[name] : undefined;
  if (typeof value === 'string') return value;
  throw new TwillError('ERR_TWILL_ARGUMENT', `the request needs ${name}`);
}

/** Alone, or in an object. Throws ERR_TWILL_ARGUMENT. */
export function addressParameter(params: Json): string {
  const address =
    params !== null && typeof params === 'object' && !Array.isArray(params) ? params['address'] : params;
  if (typeof address === 'string') return address;
  throw new TwillError('ERR_TWILL_ARGUMENT', 'trace needs an address');
}
