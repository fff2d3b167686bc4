/** What a failed request means for us, in one line without anything secret. */
import { STATUS_CODES } from 'node:http';
import { TwillError } from '../../errors.js';
import type { Access } from './access.js';
import type { KubeRequest } from './requests.js';

const LONGEST_MESSAGE_CHARS = 300;
const LONGEST_RETRY_AFTER_S = 60;

/** The API server has answered, and not what we asked for. */
export class Refused extends TwillError {
  readonly status: number;
  /** As the server asks, or 0. */
  readonly retryAfterMs: number;

  constructor(status: number, retryAfterMs: number, message: string) {
    super(mayPass(status) ? 'ERR_TWILL_STORE_UNAVAILABLE' : 'ERR_TWILL_STORE', message);
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Too much to do, or not ready: 429, 408 and whatever is the server's own fault. */
function mayPass(status: number): boolean {
  return status === 429 || status === 408 || status >= 500;
}

export function refused(
  { verb, resource }: KubeRequest,
  { server, token }: Access,
  answer: { readonly status: number; readonly text: string; readonly retryAfter: string | undefined },
): Refused {
  const { status, text } = answer;
  const said = [status, STATUS_CODES[status] ?? '', serverMessage(text, token?.reveal())]
    .filter(Boolean)
    .join(' ');
  const retryAfterMs = Math.min(Number(answer.retryAfter) || 0, LONGEST_RETRY_AFTER_S) * 1000;
  const line = (): string => {
    switch (status) {
      case 401:
        return `the API server at ${server} does not know us (${said}): check the token or the certificate`;
      case 403:
        return `the API server at ${server} does not let us ${verb} ${resource} (${said}): the role of our service account must allow it`;
      default:
        return `the API server at ${server} does not ${verb} ${resource} (${said})`;
    }
  };
  return new Refused(status, retryAfterMs, line());
}

/** What a Status object says, on one line. */
function serverMessage(text: string, token: string | undefined): string {
  let message: unknown;
  try {
    message = (JSON.parse(text) as { message?: unknown }).message;
  } catch {
    return '';
  }
  if (typeof message !== 'string') return '';
  const line = message.replace(/\p{Cc}+/gu, ' ').slice(0, LONGEST_MESSAGE_CHARS);
  return token === undefined ? line : line.replaceAll(token, '[secret]');
}

export function failureText(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const text = (message || code || String(error)).replace(/\s+/g, ' ');
  const isTls = /certificate|altnames|^(?:CERT|ERR_TLS|ERR_SSL|UNABLE_TO|DEPTH_ZERO|SELF_SIGNED)/i.test(
    `${code} ${text}`,
  );
  return isTls ? `${text} (see the CA, the certificates and the name in the server's URL)` : text;
}

export function unavailable(what: string, cause?: unknown): TwillError {
  return new TwillError('ERR_TWILL_STORE_UNAVAILABLE', what, { cause });
}
