import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import protobuf from 'protobufjs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { maskedCrc32c } from '../files/crc32c.js';
import { EventFile } from './tensorboard.js';

/** The messages as TensorBoard defines them (tensorboard/compat/proto), as far as scalars go. */
const { root } = protobuf.parse(
  `
  syntax = "proto3";
  message SessionLog { enum SessionStatus { STATUS_UNSPECIFIED = 0; START = 1; STOP = 2; CHECKPOINT = 3; } SessionStatus status = 1; }
  message Summary { message Value { string tag = 1; float simple_value = 2; } repeated Value value = 1; }
  message Event {
    double wall_time = 1; int64 step = 2;
    oneof what { string file_version = 3; Summary summary = 5; SessionLog session_log = 7; }
  }`,
  { keepCase: true },
);
const Event = root.lookupType('Event');

interface Decoded {
  wall_time: number;
  step?: number;
  file_version?: string;
  summary?: { value: { tag: string; simple_value: number }[] };
  session_log?: { status: string };
}

/** Reads a TFRecord file, checking lengths and checksums. */
function readEvents(file: string): Decoded[] {
  const bytes = readFileSync(file);
  const events: Decoded[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = Number(bytes.readBigUInt64LE(at));
    const data = bytes.subarray(at + 12, at + 12 + length);
    expect(bytes.readUInt32LE(at + 8)).toBe(maskedCrc32c(bytes.subarray(at, at + 8)));
    expect(bytes.readUInt32LE(at + 12 + length)).toBe(maskedCrc32c(data));
    events.push(Event.toObject(Event.decode(data), { longs: Number, enums: String }) as Decoded);
    at += 16 + length;
  }
  return events;
}

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'hpff-tensorboard-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('EventFile', () => {
  it('writes a version, a start and scalars', async () => {
    const file = await EventFile.create(folder, 300);
    await file.write(320, { 'loss/total': 1.5, learning_rate: -0.25 });
    await file.write(2 ** 40, { ünïcode: 3 });
    await file.close();
    const events = readEvents(file.path);
    expect(events.map(({ wall_time: _, ...rest }) => rest)).toEqual([
      { file_version: 'brain.Event:2' },
      { step: 301, session_log: { status: 'START' } },
      {
        step: 320,
        summary: {
          value: [
            { tag: 'loss/total', simple_value: 1.5 },
            { tag: 'learning_rate', simple_value: -0.25 },
          ],
        },
      },
      { step: 2 ** 40, summary: { value: [{ tag: 'ünïcode', simple_value: 3 }] } },
    ]);
    for (const { wall_time: time } of events) expect(Math.abs(time - Date.now() / 1000)).toBeLessThan(60);
  });

  it('has a name that TensorBoard looks for, later ones after earlier ones', async () => {
    for (const step of [0, 10]) {
      await (await EventFile.create(folder, step)).close();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const names = readdirSync(folder).sort();
    expect(names).toHaveLength(2);
    for (const name of names) expect(name).toMatch(/^events\.out\.tfevents\.[A-Za-z0-9._-]+$/);
    expect(readEvents(path.join(folder, names[1]!))[1]).toMatchObject({ step: 11 });
  });

  it('refuses a folder that is not there', async () => {
    await expect(EventFile.create(path.join(folder, 'none'), 0)).rejects.toMatchObject({ code: 'OUTPUT_NOT_WRITABLE' });
  });
});
