/**
 * What the characters of a PC's text screen look like: code page 437 with its graphics, as Unicode.
 *
 * Codes 0, 32 and 255 are blank.
 * Source: Unicode mapping tables, VENDORS/MICSFT/PC/CP437.TXT; IBM Graphics Character Identifiers for 0x01 to 0x1f.
 */

/** 32 characters a row; each is one UTF-16 unit. */
const CHARACTERS =
  ' ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼' +
  ' !"#$%&\'()*+,-./0123456789:;<=>?' +
  '@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_' +
  '`abcdefghijklmnopqrstuvwxyz{|}~⌂' +
  'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒ' +
  'áíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐' +
  '└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀' +
  'αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■ ';

/** The character that a byte of text memory shows. */
export function screenCharacter(code: number): string {
  return CHARACTERS.charAt(code);
}
