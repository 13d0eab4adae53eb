/** A question that was asked again after a failure is one question with several attempts at its answer. */
import type { Turn } from "./turn.ts";

/** A turn to be shown. */
export interface ShownTurn {
  turn: Turn;
  /** The attempts before this answer, oldest first, each of which failed or was stopped. */
  earlier: readonly Turn[];
}

const NONE: readonly Turn[] = []; // one object, so that what has none is not drawn again

const UNFINISHED: ReadonlySet<string> = new Set(["failed", "cancelled", "interrupted"]);

/** The turns without questions that only repeat the one before, whose answers come together. */
export function foldAttempts(turns: readonly Turn[]): ShownTurn[] {
  const shown: ShownTurn[] = [];
  let earlier = NONE;
  for (const turn of turns) {
    const failed = repeated(shown, turn);
    if (failed) {
      shown.pop();
      earlier = [...failed.earlier, failed.turn];
    } else {
      shown.push({ turn, earlier });
      earlier = NONE;
    }
  }
  const last = earlier.at(-1); // asked again, and the new answer has no place yet
  return last ? [...shown, { turn: last, earlier: earlier.slice(0, -1) }] : shown;
}

/** The failed answer that a question asks for again, or null. */
function repeated(shown: readonly ShownTurn[], turn: Turn): ShownTurn | null {
  const [question, answer] = shown.slice(-2);
  if (turn.role !== "user" || question?.turn.role !== "user" || question.turn.content !== turn.content)
    return null;
  return answer && UNFINISHED.has(answer.turn.status) ? answer : null;
}
