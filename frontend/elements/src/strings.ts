/**
 * The words of the components. They are written in English; a host with languages of its own (the Desk) says how
 * they are translated. The English text is the key, as in gettext, and `{0}`, `{1}` are what is put in.
 */

export type Translator = (text: string, values: readonly (string | number)[]) => string;

let translator: Translator = fill;

/** From now on texts are translated by `next`. Call it before the first component is made. */
export function setTranslator(next: Translator): void {
  translator = next;
}

/** A text in the person's language. */
export function t(text: string, ...values: readonly (string | number)[]): string {
  return translator(text, values);
}

/** Marks a text that `t` is given later, so that it is found by those who collect what is to be translated. */
export function later(text: string): string {
  return text;
}

/** The English text with its values put in. */
export function fill(text: string, values: readonly (string | number)[]): string {
  return text.replace(/\{(\d+)\}/g, (hole, index: string) => String(values[Number(index)] ?? hole));
}
