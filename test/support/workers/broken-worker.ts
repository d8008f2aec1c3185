/** Where threads start that never get ready. */
throw new Error('this thread cannot start');
