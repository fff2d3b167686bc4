import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TwillError } from '../../../src/errors.js';
import { createLogger } from '../../../src/observe/log.js';

test('an error says once what its cause says, and who caused it stands beside', () => {
  const lines: string[] = [];
  const logger = createLogger({ level: 'info', destination: { write: (line) => void lines.push(line) } });
  const cause = new Error('connect ECONNREFUSED 192.0.2.250:6443');
  const err = new TwillError('ERR_TWILL_STORE', `cannot reach the API server: ${cause.message}`, { cause });
  logger.warn({ err }, 'trouble');
  logger.debug('not asked for');
  assert.equal(lines.length, 1);
  const record = JSON.parse(lines[0] ?? '');
  assert.deepEqual([record.level, record.msg], ['warn', 'trouble']);
  assert.deepEqual(
    [record.err.message, record.err.code, record.err.cause.message],
    [err.message, 'ERR_TWILL_STORE', cause.message],
  );
});
