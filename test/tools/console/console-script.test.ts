/**
 * Goal: a script's lines are typed once each, in order, at prompts only, however the console's bytes are cut.
 * Method: a model guest that echoes and answers; cuts at every byte; things that look like prompts and are none.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ConsoleScript } from '../../../tools/console/console-script.js';

function say(script: ConsoleScript, text: string): void {
  script.output(Buffer.from(text, 'latin1'));
}

/** What the script types now, 'over', or null while it waits. */
function typed(script: ConsoleScript): string | null {
  const step = script.next();
  if (step.kind === 'type') return Buffer.from(step.bytes).toString('utf8');
  return step.kind === 'over' ? 'over' : null;
}

describe('a script', () => {
  test('types each line with Enter at a prompt and is over at the next one', () => {
    const script = new ConsoleScript('uname -a\n\nexit 3\n', '# ');
    expect(typed(script)).toBeNull();
    say(script, 'booting\r\n# ');
    expect(typed(script)).toBe('uname -a\r');
    say(script, 'uname -a\r\nLinux\r\n# ');
    expect(typed(script)).toBe('\r');
    say(script, '\r\n# ');
    expect(typed(script)).toBe('exit 3\r');
    expect([script.typed, script.lines]).toEqual([3, 3]);
    say(script, 'exit 3\r\n');
    expect(typed(script)).toBeNull();
    say(script, '# ');
    expect(typed(script)).toBe('over');
  });

  test('without lines is over at the first prompt', () => {
    const script = new ConsoleScript('', '$ ');
    say(script, 'user@box:~$ ');
    expect(typed(script)).toBe('over');
  });

  test('does not take its own line, not yet echoed to its end, for a prompt', () => {
    const script = new ConsoleScript('echo a # b\nnext', '# ');
    say(script, '# ');
    expect(typed(script)).toBe('echo a # b\r');
    expect(typed(script)).toBeNull();
    say(script, 'echo a # ');
    expect(typed(script)).toBeNull();
    say(script, 'b\r\na\r\n# ');
    expect(typed(script)).toBe('next\r');
  });

  test('sees a prompt through escape sequences', () => {
    const script = new ConsoleScript('ls', '# ');
    say(script, '\r\n\x1b[1;32m# \x1b[0m\x1b[6n');
    expect(typed(script)).toBe('ls\r');
  });

  test('waits for a prompt at the end of the line only', () => {
    const script = new ConsoleScript('x', '# ');
    say(script, '# comment');
    expect(typed(script)).toBeNull();
    say(script, '\n# \n');
    expect(typed(script)).toBeNull();
  });

  test('is not held up by messages of the kernel that come right after a prompt', () => {
    const script = new ConsoleScript('one\ntwo', '# ');
    say(script, 'boot\r\n# \x1b[6n[    5.677859] random: crng init done\r\n');
    say(script, '[    5.701234] EXT4-fs (sda): mounted\r\n');
    expect(typed(script)).toBe('one\r');
    say(script, 'one\r\n[    6.000000] sd 0:0:0:0: working\r\n');
    expect(typed(script)).toBeNull();
    say(script, '# [    6.100000] a message');
    expect(typed(script)).toBeNull();
    say(script, ' in two parts\r\n');
    expect(typed(script)).toBe('two\r');
  });

  test('takes neither its echo nor a program’s lines for a prompt because a message follows', () => {
    const script = new ConsoleScript('echo "# [    1.000000] x"\nnext', '# ');
    say(script, '# ');
    expect(typed(script)).toBe('echo "# [    1.000000] x"\r');
    say(script, 'echo "# [    1.000000] x"\r\n');
    expect(typed(script)).toBeNull();
    say(script, '# comment\r\n[    2.000000] message\r\n');
    expect(typed(script)).toBeNull();
    say(script, '# [    2.100000] message\r\nbut something runs\r\n');
    expect(typed(script)).toBeNull();
  });

  test('does not care how the console is cut', () => {
    const session = ['\x1b[Hboot\r\n# \x1b[6n', 'one\r\n1\r\n# \x1b[6n', 'two\r\n2\r\n# \x1b[6n'];
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1 }), (sizes) => {
        const script = new ConsoleScript('one\r\ntwo', '# ');
        const answers = session.map((text) => {
          for (let at = 0, i = 0; at < text.length; i++) {
            const size = sizes[i % sizes.length]!;
            say(script, text.slice(at, at + size));
            at += size;
          }
          return typed(script);
        });
        expect(answers).toEqual(['one\r', 'two\r', 'over']);
      }),
    );
  });
});
