import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InputError } from '../errors.js';
import { decodeJson, JsonError, parseJson } from './json.js';

const outcome = (parse: () => unknown) => {
  try {
    return { value: parse() };
  } catch {
    return 'refused';
  }
};

describe('parseJson', () => {
  it('agrees with JSON.parse on everything that JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.nat({ max: 2 }), (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        expect(parseJson(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  it('refuses and accepts the same texts as JSON.parse', () => {
    const token = fc.constantFrom(
      ...[
        '{',
        '}',
        '[',
        ']',
        ',',
        ':',
        '"',
        'a',
        '"b"',
        '\\',
        '\\u00',
        '\\n',
        '1',
        '-',
        '0',
        '.5',
        'e+1',
        'null',
        'true',
      ],
      ...['tru', ' ', '\n', '\u0001', '\ud800', '\u2028', '/'],
    );
    const texts = fc.array(token, { maxLength: 8 }).map((tokens) => tokens.join(''));
    fc.assert(
      fc.property(texts, (text) => {
        expect(outcome(() => parseJson(text))).toEqual(outcome(() => JSON.parse(text)));
      }),
      { numRuns: 3000 },
    );
  });

  it.each([
    ['{"a":1,"b":{"a":2},"a":3}', 'duplicate-key', 19, 'the key "a" is there twice'],
    ['{"a":1,"\\u0061":3}', 'duplicate-key', 7, 'the key "a" is there twice'],
    ['{"__proto__":1,"__proto__":3}', 'duplicate-key', 15, 'the key "__proto__" is there twice'],
    ['[1,]', 'syntax', 3, 'found "]"; expected a value'],
    ['{"a" 1}', 'syntax', 5, 'found "1"; expected ":"'],
    ['[1', 'syntax', 2, 'the text ends; expected "," or "]"'],
    ['{1:2}', 'syntax', 1, 'found "1"; expected a string in double quotes'],
    ['01', 'syntax', 1, 'found "1"; expected the end'],
    ['"a\\x"', 'syntax', 2, 'found "\\"; expected an escape such as \\n or \\u0041'],
    ['', 'syntax', 0, 'the text ends; expected a value'],
    ['['.repeat(101), 'depth', 100, 'nested too deeply; allowed: at most 100 levels'],
  ])('says what is wrong with %j', (text, kind, position, reason) => {
    try {
      parseJson(text);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(JsonError);
      expect(error).toMatchObject({ kind, position, reason });
    }
  });

  it('makes __proto__ an ordinary key', () => {
    const value = parseJson('{"__proto__":{"polluted":true}}') as Record<string, unknown>;
    expect(Object.keys(value)).toEqual(['__proto__']);
    expect('polluted' in value).toBe(false);
  });

  it('reads long strings without running out of stack', () => {
    const long = 'x\\n'.repeat(1e6);
    expect(parseJson(`"${long}"`)).toHaveLength(2e6);
    expect(() => parseJson('['.repeat(1e6))).toThrow(JsonError);
  });
});

describe('decodeJson', () => {
  it('tells line and column', () => {
    const text = Buffer.from('{\n  "seed": 1,\n  "seed": 2\n}');
    expect(() => decodeJson(text, 'graphs/a.json')).toThrow(
      new InputError(
        'JSON_DUPLICATE_KEY',
        'graphs/a.json: not valid JSON at line 3, column 3: the key "seed" is there twice',
      ),
    );
  });

  it('refuses what is not UTF-8, on one line', () => {
    expect(() => decodeJson(Uint8Array.of(0x22, 0xff, 0x22), 'a\nb')).toThrow('a\\u{a}b: is not text in UTF-8');
  });

  it('drops a byte order mark', () => {
    expect(decodeJson(Buffer.from('\ufeff[1]'), 'a')).toEqual([1]);
  });
});
