/**
 * A strict JSON parser (RFC 8259). Unlike `JSON.parse` it refuses an object that has a key twice, bounds the depth, and
 * says where an error is.
 */
import { InputError } from '../errors.js';
import { printable, quoted } from './printable.js';
import { decodeUtf8 } from './utf8.js';

export type JsonValue = null | boolean | number | string | JsonValue[] | { [key: string]: JsonValue };

/** Why and where a text is not JSON. `position` counts UTF-16 code units from the start of the text. */
export class JsonError extends Error {
  override readonly name = 'JsonError';

  constructor(
    readonly kind: 'syntax' | 'duplicate-key' | 'depth',
    readonly position: number,
    /** One line. */
    readonly reason: string,
  ) {
    super(reason);
  }
}

const MAX_DEPTH = 100;

/** @throws JsonError */
export function parseJson(text: string): JsonValue {
  return new Parser(text).document();
}

/**
 * Parses a file's content.
 * @param where the file's name, for errors
 * @throws InputError `FILE_NOT_UTF8`, `JSON_INVALID`, `JSON_DUPLICATE_KEY` with line and column
 */
export function decodeJson(bytes: Uint8Array, where: string): JsonValue {
  const text = decodeUtf8(bytes, where);
  try {
    return parseJson(text);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    const code = error.kind === 'duplicate-key' ? 'JSON_DUPLICATE_KEY' : 'JSON_INVALID';
    const place = lineAndColumn(text, error.position);
    throw new InputError(code, `${printable(where)}: not valid JSON at ${place}: ${error.reason}`, { cause: error });
  }
}

function lineAndColumn(text: string, position: number): string {
  const before = text.slice(0, position).split('\n');
  return `line ${before.length}, column ${(before.at(-1) ?? '').length + 1}`;
}

const whitespace = /[ \t\n\r]*/y;
const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?/y;
const escape = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const words: readonly [string, JsonValue][] = [
  ['null', null],
  ['true', true],
  ['false', false],
];

class Parser {
  private position = 0;
  private depth = 0;

  constructor(private readonly text: string) {}

  document(): JsonValue {
    this.match(whitespace);
    const value = this.value();
    if (this.position < this.text.length) throw this.unexpected('the end');
    return value;
  }

  private value(): JsonValue {
    const value = this.bareValue();
    this.match(whitespace);
    return value;
  }

  private bareValue(): JsonValue {
    switch (this.text[this.position]) {
      case '{':
        return this.nested(() => this.object());
      case '[':
        return this.nested(() => this.array());
      case '"':
        return this.string();
    }
    const digits = this.match(number);
    if (digits !== null) return Number(digits);
    for (const [word, value] of words) if (this.take(word)) return value;
    throw this.unexpected('a value');
  }

  private nested<T>(parse: () => T): T {
    if (this.depth === MAX_DEPTH) {
      throw new JsonError('depth', this.position, `nested too deeply; allowed: at most ${MAX_DEPTH} levels`);
    }
    this.depth++;
    const value = parse();
    this.depth--;
    return value;
  }

  private object(): JsonValue {
    const entries = new Map<string, JsonValue>();
    this.open('{');
    if (!this.take('}')) {
      do {
        this.match(whitespace);
        const start = this.position;
        const key = this.string();
        if (entries.has(key)) {
          throw new JsonError('duplicate-key', start, `the key ${quoted(key)} is there twice`);
        }
        this.match(whitespace);
        if (!this.take(':')) throw this.unexpected('":"');
        this.match(whitespace);
        entries.set(key, this.value());
      } while (this.take(','));
      if (!this.take('}')) throw this.unexpected('"," or "}"');
    }
    return Object.fromEntries(entries); // makes "__proto__" an ordinary key
  }

  private array(): JsonValue[] {
    const items: JsonValue[] = [];
    this.open('[');
    if (this.take(']')) return items;
    do {
      this.match(whitespace);
      items.push(this.value());
    } while (this.take(','));
    if (!this.take(']')) throw this.unexpected('"," or "]"');
    return items;
  }

  private string(): string {
    const start = this.position;
    if (!this.take('"')) throw this.unexpected('a string in double quotes');
    for (;;) {
      const code = this.text.charCodeAt(this.position); // NaN at the end of the text
      if (code === 0x22) break;
      if (code === 0x5c) {
        if (this.match(escape) === null) throw this.unexpected('an escape such as \\n or \\u0041');
      } else if (code >= 0x20) this.position++;
      else throw this.unexpected('the rest of a string (line breaks and control characters are written as escapes)');
    }
    this.position++;
    const literal = this.text.slice(start, this.position);
    return literal.includes('\\') ? (JSON.parse(literal) as string) : literal.slice(1, -1);
  }

  private open(bracket: string): void {
    this.take(bracket);
    this.match(whitespace);
  }

  private take(token: string): boolean {
    if (!this.text.startsWith(token, this.position)) return false;
    this.position += token.length;
    return true;
  }

  /** Moves past what the sticky pattern finds here, or stays and gives null. */
  private match(pattern: RegExp): string | null {
    pattern.lastIndex = this.position;
    const found = pattern.exec(this.text);
    if (found === null) return null;
    this.position += found[0].length;
    return found[0];
  }

  private unexpected(expected: string): JsonError {
    const character = this.text.codePointAt(this.position);
    const found = character === undefined ? 'the text ends' : `found ${quoted(String.fromCodePoint(character))}`;
    return new JsonError('syntax', this.position, `${found}; expected ${expected}`);
  }
}
