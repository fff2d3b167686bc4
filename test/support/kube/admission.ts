/**
 * A ValidatingAdmissionPolicy as the API server applies it, with another implementation of CEL: which updates of an object it
 * refuses, and in which words.
 */
import { type CelInput, isCelError, run } from '@bufbuild/cel';
import type { Manifest } from './manifests.js';

interface Named {
  readonly name: string;
  readonly expression: string;
}

export interface Policy extends Manifest {
  readonly spec: {
    readonly failurePolicy: 'Fail' | 'Ignore';
    readonly matchConditions: readonly Named[];
    readonly variables: readonly Named[];
    readonly validations: readonly { readonly expression: string; readonly message: string }[];
    readonly [field: string]: unknown;
  };
}

export interface UserInfo {
  readonly username: string;
  /** Absent where the token says nothing more. */
  readonly extra?: { readonly [claim: string]: readonly string[] };
}

export interface Update {
  readonly user: UserInfo;
  readonly before: object;
  readonly after: object;
}

/** Messages of what is violated, or why an expression has no value; none: the update is admitted. */
export function refusals({ spec }: Policy, { user, before, after }: Update): string[] {
  const variables: { [name: string]: CelInput } = {};
  const bindings = {
    ...{ object: after, oldObject: before, variables },
    request: { operation: 'UPDATE', userInfo: user },
  } as unknown as { [name: string]: CelInput };
  const evaluated = (expression: string) => run(expression, bindings);
  // As with the real one: whom the conditions do not match is none of the policy's business.
  for (const { name, expression } of spec.matchConditions) {
    const matches = evaluated(expression);
    if (isCelError(matches)) return [`${name}: ${matches.message}`];
    if (matches !== true) return [];
  }
  for (const { name, expression } of spec.variables) {
    const value = evaluated(expression);
    if (isCelError(value)) return [`${name}: ${value.message}`];
    variables[name] = value as CelInput;
  }
  return spec.validations.flatMap(({ expression, message }) => {
    const value = evaluated(expression);
    if (isCelError(value)) return [`${message}: ${value.message}`];
    return value === true ? [] : [message];
  });
}
