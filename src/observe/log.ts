/** Structured logs: one JSON object a line on standard error. Never per packet. */
import {
  type DestinationStream,
  type Logger,
  destination as openDestination,
  pino,
  stdSerializers,
  stdTimeFunctions,
} from 'pino';

export type { Logger } from 'pino';

export interface LogOptions {
  /** Least severe level written. */
  readonly level: string;
  /** Default: standard error, written at once, so that the last line before an exit is there. */
  readonly destination?: DestinationStream;
}

export function createLogger({ level, destination }: LogOptions): Logger {
  const options = {
    level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    // Our messages say what their cause says: not twice.
    serializers: { err: stdSerializers.errWithCause },
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return pino(options, destination ?? openDestination({ dest: 2, sync: true }));
}
