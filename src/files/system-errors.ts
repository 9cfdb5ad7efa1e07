/** What the operating system's refusals mean to the user: errno codes as one-line errors with stable codes. */
import { HpffError, InputError, RunError } from '../errors.js';
import { printable } from './printable.js';

/** Node's own code for a path with a zero byte in it, which no system call ever sees. */
const zeroByte = 'ERR_INVALID_ARG_VALUE';

/** Why a path cannot be used, by errno code. What is not here is a failure of the machine, not of the input. */
const reasons: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EROFS: 'the file system is read-only',
  ENOENT: 'no such file or folder',
  ENOTDIR: 'part of the path is a file, not a folder',
  EISDIR: 'it is a folder',
  EEXIST: 'it exists already',
  ENOTEMPTY: 'the folder is not empty',
  ENAMETOOLONG: 'the name is too long',
  ELOOP: 'the symbolic links go in a circle',
  EBUSY: 'it is in use',
  ETXTBSY: 'it is being executed',
  EXDEV: 'it is on another file system',
  [zeroByte]: 'a path cannot contain a zero byte',
  EFBIG: 'too large for the file system',
};

const diskFull = new Set(['ENOSPC', 'EDQUOT']);

/** The errno code (`ENOENT`, …) of an error that a system call raised, or undefined for any other error. */
export function errnoCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  return 'syscall' in error || error.code === zeroByte ? error.code : undefined;
}

/**
 * An error met while reading `path`, as an InputError: `FILE_MISSING`, `FILE_NOT_PERMITTED`, `FILE_IS_DIRECTORY`, or
 * `FILE_UNREADABLE`. Errors that are not the system's are given back as they are.
 */
export function readError(path: string, error: unknown): unknown {
  const code = errnoCode(error);
  if (error instanceof HpffError || code === undefined) return error;
  const at = printable(path);
  const cause = { cause: error };
  if (code === 'ENOENT') return new InputError('FILE_MISSING', `${at}: no such file or folder`, cause);
  if (code === 'EISDIR') return isDirectoryError(path, cause);
  if (code === 'EACCES' || code === 'EPERM') {
    return new InputError('FILE_NOT_PERMITTED', `${at}: cannot be read: ${reasons[code]}`, cause);
  }
  return new InputError('FILE_UNREADABLE', `${at}: cannot be read: ${reasons[code] ?? code}`, cause);
}

/** A folder where a file is needed. */
export function isDirectoryError(path: string, options?: { cause: unknown }): InputError {
  return new InputError('FILE_IS_DIRECTORY', `${printable(path)}: is a folder; a file is needed`, options);
}

/**
 * An error met while writing `path`: InputError `DISK_FULL` or `OUTPUT_NOT_WRITABLE` where the user can mend it,
 * RunError `WRITE_FAILED` for the rest. Errors that are not the system's are given back as they are.
 */
export function writeError(path: string, error: unknown): unknown {
  const code = errnoCode(error);
  if (error instanceof HpffError || code === undefined) return error;
  const at = printable(path);
  const cause = { cause: error };
  if (diskFull.has(code)) {
    const what = code === 'EDQUOT' ? 'the disk quota is used up' : 'no space left on the disk';
    return new InputError('DISK_FULL', `${at}: cannot be written: ${what}`, cause);
  }
  const reason = reasons[code];
  if (reason !== undefined) {
    return new InputError(
      'OUTPUT_NOT_WRITABLE',
      `${at}: cannot be written: ${code === 'ENOENT' ? 'its folder does not exist' : reason}`,
      cause,
    );
  }
  return new RunError('WRITE_FAILED', `${at}: writing failed: ${printable(code)}`, cause);
}
