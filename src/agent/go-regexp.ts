/**
 * Patterns as operators wrote them for flannel, in Go's syntax (RE2). Where JavaScript has another spelling for the same,
 * it is put in its place; left alone, some would be understood as something else in silence. Pure.
 */
const CLASSES: { readonly [name: string]: string } = {
  alnum: '0-9A-Za-z',
  alpha: 'A-Za-z',
  digit: '0-9',
  lower: 'a-z',
  punct: '!-\\/:-@\\[-`{-~',
  space: '\\t\\n\\v\\f\\r ',
  upper: 'A-Z',
  word: '0-9A-Za-z_',
  xdigit: '0-9A-Fa-f',
};

/** Throws a SyntaxError. */
export function goRegExp(text: string): RegExp {
  const [head = '', flags = ''] = /^\(\?([ims]+)\)/.exec(text) ?? [];
  const pattern = text
    .slice(head.length)
    .replaceAll(/\\([\s\S])|\[:(\w+):\]|\(\?P</g, (whole, escaped?: string, name?: string) => {
      if (escaped === 'A') return '^';
      if (escaped === 'z') return '$';
      if (name !== undefined) return CLASSES[name] ?? whole;
      if (escaped === undefined) return '(?<';
      // Go lets every sign be escaped.
      return /[!"#%&',:;<=>@`~ -]/.test(escaped) ? `\\x${escaped.charCodeAt(0).toString(16)}` : whole;
    });
  // `u`: an escape that JavaScript does not know is an error, not a letter.
  return new RegExp(pattern, `${flags}u`);
}
