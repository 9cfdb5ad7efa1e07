import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { printable, quoted } from './printable.js';

describe('printable', () => {
  it('leaves visible text and escapes the rest', () => {
    expect(printable('Grüße 😀/a b')).toBe('Grüße 😀/a b');
    expect(printable('a\n\tb\u2028\u202e\ud800')).toBe('a\\u{a}\\u{9}b\\u{2028}\\u{202e}\\u{d800}');
    expect(quoted('a')).toBe('"a"');
  });

  it('cuts long text in the middle', () => {
    expect(printable('a'.repeat(50) + 'b'.repeat(50), 11)).toBe('aaaaa…bbbbb');
  });

  it('always gives one line within the limit', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(printable(text, 21)).toMatch(/^[^\n\r\u2028\u2029]{0,21}$/u);
      }),
    );
  });
});
