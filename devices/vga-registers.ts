/**
 * Registers of a VGA as far as a text screen has them: offsets of the ports, indexed registers, text mode 3.
 *
 * Source: IBM PS/2 Hardware Interface Technical Reference, Video Subsystem (VGA): registers, and register values of the
 * BIOS modes (mode 3+: 80 x 25 characters of 9 x 16 dots, 400 lines).
 */

/** All ports of a VGA lie in 0x3b0 to 0x3df; the offsets below count from here. */
export const VGA_PORT = 0x3b0;
export const VGA_PORT_COUNT = 0x30;

export const CRTC_INDEX_MONO = 0x04;
export const CRTC_DATA_MONO = 0x05;
export const STATUS_1_MONO = 0x0a;
/** Writes: index and data in turn. Reads: the index. */
export const ATTRIBUTE = 0x10;
export const ATTRIBUTE_READ = 0x11;
/** Reads: input status 0. Writes: miscellaneous output. */
export const STATUS_0 = 0x12;
export const SUBSYSTEM_ENABLE = 0x13;
export const SEQUENCER_INDEX = 0x14;
export const SEQUENCER_DATA = 0x15;
export const DAC_MASK = 0x16;
/** Reads: DAC state. */
export const DAC_READ_INDEX = 0x17;
export const DAC_WRITE_INDEX = 0x18;
export const DAC_DATA = 0x19;
export const FEATURE_READ = 0x1a;
export const MISC_READ = 0x1c;
export const GRAPHICS_INDEX = 0x1e;
export const GRAPHICS_DATA = 0x1f;
export const CRTC_INDEX_COLOUR = 0x24;
export const CRTC_DATA_COLOUR = 0x25;
/** Reads: input status 1. Writes: feature control. */
export const STATUS_1_COLOUR = 0x2a;

/** Miscellaneous output, bit 0: CRTC and status 1 are at 0x3d4 and 0x3da, not at 0x3b4 and 0x3ba. */
export const MISC_COLOUR = 0x01;
export const FEATURE_WRITABLE = 0x0b;
/** Input status 0, bit 4: a colour monitor is connected. */
export const STATUS_0_MONITOR = 0x10;
/** Input status 1. */
export const STATUS_1_BLANK = 0x01;
export const STATUS_1_RETRACE = 0x08;

/** Indexes into the CRTC. */
export const CRTC_OVERFLOW = 0x07;
export const CRTC_CURSOR_START = 0x0a;
export const CRTC_START_HIGH = 0x0c;
export const CRTC_CURSOR_HIGH = 0x0e;
export const CRTC_RETRACE_END = 0x11;
export const CRTC_OFFSET = 0x13;
/** CRTC_RETRACE_END: indexes 0 to 7 are read-only, but for the line compare bit in CRTC_OVERFLOW. */
export const CRTC_PROTECT = 0x80;
export const CRTC_LINE_COMPARE = 0x10;
export const CURSOR_OFF = 0x20;

/** Bits of the attribute controller's index: the index itself, and palette address source. */
export const ATTRIBUTE_INDEX = 0x1f;
export const ATTRIBUTE_WRITABLE = 0x3f;

/** Timing of mode 3: characters of 9 dots at 28.322 MHz, 100 of them a line, 449 lines a frame. */
export const CHARACTER_HZ = 3_146_889;
export const LINE_CHARACTERS = 100;
export const LINE_CHARACTERS_SHOWN = 80;
export const FRAME_LINES = 449;
export const FRAME_LINES_SHOWN = 400;
export const RETRACE_FIRST_LINE = 412;
export const RETRACE_END_LINE = 414;

/** Register values of mode 3+. */
export const MODE_3_MISC = 0x67;
export const MODE_3_SEQUENCER: readonly number[] = [0x03, 0x00, 0x03, 0x00, 0x02];
export const MODE_3_GRAPHICS: readonly number[] = [0, 0, 0, 0, 0, 0x10, 0x0e, 0, 0xff];
export const MODE_3_CRTC: readonly number[] = [
  ...[0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f],
  ...[0x00, 0x4f, 0x0d, 0x0e, 0x00, 0x00, 0x00, 0x00],
  ...[0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3],
  0xff,
];
export const MODE_3_ATTRIBUTE: readonly number[] = [
  ...[0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07],
  ...[0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f],
  ...[0x0c, 0x00, 0x0f, 0x08, 0x00],
];
