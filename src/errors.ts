/**
 * The errors that users meet. Each has a stable code and one line that says what is wrong, where, what was found and
 * what is allowed; the command line prints that line and leaves with the error's exit code.
 */

/** Base of all errors that hpff raises on purpose. */
export class HpffError extends Error {
  override readonly name: string = 'HpffError';

  /**
   * @param code stable identifier, SCREAMING_SNAKE_CASE, e.g. `RECIPE_UNKNOWN_KEY`
   * @param message one line: what, where, found, allowed
   */
  constructor(
    readonly code: string,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }

  /** Exit code of the process when this error ends a command. */
  get exitCode(): 1 | 2 {
    return 1;
  }
}

/** Bad usage, recipe or input: the user can mend it. Exit code 2. */
export class InputError extends HpffError {
  override readonly name = 'InputError';

  override get exitCode(): 2 {
    return 2;
  }
}

/** Something failed while running. Exit code 1. */
export class RunError extends HpffError {
  override readonly name = 'RunError';
}

/** A mistake in how the graph builder or the runtime was called: a wrong shape, a disposed value. Exit code 1. */
export class UsageError extends HpffError {
  override readonly name = 'UsageError';
}
