/**
 * Text of people who must not give instructions to a model: how it stands in a prompt, so that it can be told from the
 * prompt's own words.
 */

const LINE_END = /\r\n?/g;

/**
 * What cleanUntrusted removes. Code points are listed, not asked of the runtime by property: its tables grow with each
 * release, and the same value must give the same bytes on all of them.
 */
const REMOVED = new RegExp(
  '[' +
    [
      '\\u0000-\\u0008\\u000B-\\u001F', // controls but TAB and LF: terminals obey them, and people do not see them
      '\\u007F-\\u009F', // DEL and the second set of controls: the same
      '\\u00AD', // soft hyphen: shows only where a line breaks, and splits words for a model
      '\\u034F', // combining grapheme joiner: shows nothing, matters to sorting only
      '\\u061C\\u200E\\u200F\\u202A-\\u202E', // direction marks and overrides: what is shown is not what is read
      '\\u115F\\u1160\\u3164\\uFFA0', // Hangul fillers: letters that show nothing
      '\\u17B4\\u17B5', // Khmer inherent vowels: show nothing, and Unicode advises against them
      '\\u180B-\\u180F', // Mongolian variation selectors and vowel separator: choose between shapes of one letter
      '\\u200B', // zero width space: splits words for a model and not for people
      '\\u2060-\\u206F', // word joiner, invisible operators, direction isolates, deprecated controls
      '\\uD800-\\uDFFF', // lone surrogates: no text, and two of them around a removed character would make one
      '\\uFE00-\\uFE0D', // variation selectors 1 to 14: choose between shapes, and can spell hidden text
      '\\uFEFF', // byte order mark: shows nothing inside of text
      '\\uFFF0-\\uFFFB', // reserved as invisible, and the marks of annotations, whose text is hidden
      '\\u{1BCA0}-\\u{1BCA3}', // shorthand format controls: show nothing
      '\\u{1D173}-\\u{1D17A}', // musical format controls: show nothing
      '\\u{E0000}-\\u{E0FFF}', // tags, variation selectors 17 to 256, reserved: hidden text that models can read
    ].join('') +
    ']',
  'gu',
);

/** Variation selectors 15 and 16, and joiners. */
const ATTACHED = '\\uFE0E\\uFE0F\\u200C\\u200D';
/** A letter or emoji has a selector and then a joiner at most; more show nothing, and can spell hidden text. */
const ATTACHED_RUN = new RegExp(
  `(?=[${ATTACHED}])([\\uFE0E\\uFE0F]?)[\\uFE0E\\uFE0F]*([\\u200C\\u200D]?)[${ATTACHED}]*`,
  'g',
);

function normalLineEnds(text: string): string {
  return text.replace(LINE_END, '\n');
}

/** What is hidden between joiners is removed first, so that it cannot part a run of them. */
function cleaned(text: string): string {
  return normalLineEnds(text)
    .replace(REMOVED, '')
    .replace(ATTACHED_RUN, (_, selector: string, joiner: string, at: number) => (at === 0 ? '' : selector + joiner));
}

function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/**
 * Removes what people do not see and models do: control and invisible characters. CR LF and CR become LF. Idempotent.
 *
 * Kept are TAB and LF; U+2028 and U+2029, which show as the ends of lines; U+200C and U+200D, without which Persian and
 * Indic words and many emoji fall apart, and U+FE0E and U+FE0F, which choose between text and emoji: one of these and
 * then one of those in a row, and none where the text begins; and letters that look like others or like <, > and &: to
 * a model they are not the same.
 * @returns removed: how many code points; those of line ends are not counted
 */
export function cleanUntrusted(text: string): { text: string; removed: number } {
  const clean = cleaned(text);
  return { text: clean, removed: codePoints(normalLineEnds(text)) - codePoints(clean) };
}

/**
 * The text as a prompt holds it: cleaned, with &, < and > as &amp;, &lt; and &gt;, inside of its delimiter, which it
 * can neither close nor forge. Text of which cleaning leaves nothing is empty, without a delimiter.
 * @param name of a variable; its grammar has no character that would have to be escaped
 */
export function untrustedText(name: string, text: string): string {
  const clean = cleaned(text);
  if (clean === '') return '';
  const escaped = clean.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return `<untrusted name="${name}">${escaped}</untrusted>`;
}
