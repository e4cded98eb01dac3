/**
 * Registers of the 8042 keyboard controller: status, command byte, ports, commands.
 *
 * Source: IBM PS/2 Hardware Interface Technical Reference, Keyboard and Auxiliary Device Controller.
 */

export const STATUS_OUTPUT_FULL = 0x01;
export const STATUS_LAST_COMMAND = 0x08;
export const STATUS_UNLOCKED = 0x10;
export const STATUS_MOUSE = 0x20;
export const STATUS_TIMEOUT = 0x40;

export const MODE_KEYBOARD_IRQ = 0x01;
export const MODE_MOUSE_IRQ = 0x02;
/** Also a status bit. */
export const MODE_TESTED = 0x04;
export const MODE_KEYBOARD_OFF = 0x10;
export const MODE_MOUSE_OFF = 0x20;
export const MODE_TRANSLATE = 0x40;
/** Bits 3 and 7 are reserved. */
export const MODE_WRITABLE = 0x77;
export const MODE_POWER_ON = MODE_KEYBOARD_IRQ | MODE_TESTED | MODE_MOUSE_OFF | MODE_TRANSLATE;

export const OUTPUT_NOT_RESET = 0x01;
export const OUTPUT_A20 = 0x02;
export const OUTPUT_KEYBOARD_IRQ = 0x10;
export const OUTPUT_MOUSE_IRQ = 0x20;
/** Clock and data lines of both ports: idle. */
export const OUTPUT_IDLE = 0xcc;
export const INPUT_UNLOCKED = 0x80;

export const READ_MODE = 0x20;
export const WRITE_MODE = 0x60;
export const MOUSE_OFF = 0xa7;
export const MOUSE_ON = 0xa8;
export const TEST_MOUSE_PORT = 0xa9;
export const SELF_TEST = 0xaa;
export const TEST_KEYBOARD_PORT = 0xab;
export const KEYBOARD_OFF = 0xad;
export const KEYBOARD_ON = 0xae;
export const READ_INPUT_PORT = 0xc0;
export const READ_OUTPUT_PORT = 0xd0;
export const WRITE_OUTPUT_PORT = 0xd1;
export const ECHO_AS_KEYBOARD = 0xd2;
export const ECHO_AS_MOUSE = 0xd3;
export const WRITE_MOUSE = 0xd4;
export const A20_OFF = 0xdd;
export const A20_ON = 0xdf;
/** From here on: the low four bits pull output lines low for a moment; line 0 is the reset. */
export const PULSE = 0xf0;
export const COMMANDS_WITH_ARGUMENT: readonly number[] = [
  WRITE_MODE,
  WRITE_OUTPUT_PORT,
  ECHO_AS_KEYBOARD,
  ECHO_AS_MOUSE,
  WRITE_MOUSE,
];

export const SELF_TEST_PASSED = 0x55;
export const PORT_TEST_PASSED = 0x00;
export const NO_ANSWER = 0xfe;
