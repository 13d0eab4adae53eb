/** `<ai-model-test>`: one short question to a model by the normal way, and what came of it. */
import {
  type AssistantClient,
  isEnded,
  type Notice,
  type TaskError,
  type TaskState,
  type Usage,
} from "@ai-assistant/client";
import { baseStyles, cost, latency, t } from "@ai-assistant/elements";
import { html, LitElement, nothing } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { modelTestStyles } from "./model-test-styles.ts";
import { failureAdvice, finishAdvice, noticeLine, workerAdvice } from "./test-words.ts";

/** Enough for a line, and for the thoughts that some models have before it. */
const MAX_TOKENS = 1024;
/** A task that nobody has taken after so long is worth a word; a worker that is woken needs some seconds. */
const UNTAKEN_MS = 5_000;

@customElement("ai-model-test")
export class AiModelTest extends LitElement {
  static override styles = [baseStyles, modelTestStyles];

  @property({ attribute: false }) client!: AssistantClient;
  /** Name of the AI Model. */
  @property() model = "";

  @state() private task: TaskState | null = null;
  @state() private untaken = false;
  @state() private live = false;
  /** What the model made of retries and fallbacks on the way. */
  @state() private steps: readonly Notice[] = [];
  #taskId = "";
  #timer: ReturnType<typeof setTimeout> | undefined;
  #undo: (() => void)[] = [];

  override connectedCallback(): void {
    super.connectedCallback();
    this.#undo = [
      this.client.onTask((task) => task.taskId === this.#taskId && this.#onTask(task)),
      this.client.onConnection((connection) => {
        this.live = connection === "live";
      }),
    ];
  }

  override disconnectedCallback(): void {
    void this.stop();
    for (const undo of this.#undo.splice(0)) undo();
    super.disconnectedCallback();
  }

  /** True while an answer is awaited. */
  get running(): boolean {
    return this.task !== null && !isEnded(this.task);
  }

  /** Asks the model. Fulfilled when the answer is over, in whatever way. */
  async run(): Promise<void> {
    await this.stop();
    this.steps = [];
    this.untaken = false;
    const content = t("Say hello in one short sentence.");
    const follower = this.client.start({
      messages: [{ role: "user", content }],
      model: this.model,
      max_tokens: MAX_TOKENS,
    });
    this.#taskId = follower.taskId;
    this.task = follower.state;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.untaken = true;
    }, UNTAKEN_MS);
    this.task = await follower.done;
  }

  /** Ends a test that runs. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    if (this.running) await this.client.stop(this.#taskId).catch(() => undefined); // the dialog is gone anyway
  }

  protected override render() {
    const { task } = this;
    if (!task) return nothing;
    const open = !isEnded(task);
    return html`
      <p class="question">${t("“{0}” is asked of {1}.", t("Say hello in one short sentence."), this.model)}</p>
      <div class="answer" aria-busy=${open}>
        ${this.#steps()} ${this.#thinking(task, open)}
        ${task.text ? html`<ai-markdown .text=${task.text} ?streaming=${open}></ai-markdown>` : nothing}
        ${this.#waiting(task)} ${task.error ? this.#failure(task.error) : nothing} ${this.#ending(task, open)}
      </div>
      ${open ? nothing : this.#figures(task)}
    `;
  }

  #onTask(task: TaskState): void {
    this.task = task;
    const { notice } = task;
    const last = this.steps.at(-1);
    const told = notice && (notice.state === "retrying" || notice.state === "fallback");
    if (
      told &&
      (last?.state !== notice.state || last.detail !== notice.detail || last.attempt !== notice.attempt)
    )
      this.steps = [...this.steps, notice];
  }

  #steps() {
    if (!this.steps.length) return nothing;
    return html`<ul>${this.steps.map((it) => html`<li>${noticeLine(it)}</li>`)}</ul>`;
  }

  #thinking(task: TaskState, open: boolean) {
    const elapsed = () => this.client.elapsedMs(task);
    const answered = task.text !== "";
    if (task.reasoning) {
      return html`<ai-reasoning .text=${task.reasoning} ?running=${open && !answered} ?answered=${answered}
        ?truncated=${task.reasoningTruncated} .durationMs=${task.reasoningMs} .elapsed=${elapsed}></ai-reasoning>`;
    }
    if (!open || answered) return nothing;
    const label = isTaken(task) ? t("Waiting for the model") : t("Waiting for a free worker");
    return html`<ai-thinking-indicator .label=${label} .elapsed=${elapsed}></ai-thinking-indicator>`;
  }

  /** Nobody has taken the task so far. */
  #waiting(task: TaskState) {
    if (isEnded(task) || isTaken(task) || !this.untaken) return nothing;
    return html`<p class="hint" role="status">${t("No worker has taken the question yet.")} ${workerAdvice()}</p>`;
  }

  #failure(error: TaskError) {
    return html`<div class="error" role="alert"><strong>${t("The test failed")}</strong>
      <p>${t(error.message)} ${failureAdvice(error)}</p><code>${error.code}</code></div>`;
  }

  #ending(task: TaskState, open: boolean) {
    const words = open ? "" : finishAdvice(task);
    return words ? html`<p class="hint">${words}</p>` : nothing;
  }

  #figures(task: TaskState) {
    const { timings, usage } = task;
    const way = this.live ? t("live, over Socket.IO") : t("asked for, without a live connection");
    const figures: [string, string | null][] = [
      [t("First token"), millis(timings?.ttft_ms)],
      [t("Thinking"), millis(task.reasoningMs)],
      [t("Whole answer"), millis(timings?.total_ms)],
      [t("Waited for a worker"), millis(timings?.queue_ms)],
      [t("Tokens"), usage && tokenLine(usage)],
      [t("Cost"), typeof usage?.cost === "number" ? cost(usage.cost) : usage ? t("no price known") : null],
      [
        task.error ? t("Model") : t("Answered by"),
        [task.model, task.provider].filter(Boolean).join(" · ") || null,
      ],
      [t("Events"), task.seq ? way : null],
    ];
    const known = figures.filter(([, value]) => value);
    if (!known.length) return nothing;
    return html`<dl>${known.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
  }
}

/** A worker has begun: something came after the event of acceptance. */
function isTaken(task: TaskState): boolean {
  return task.seq > 1;
}

function millis(value: number | null | undefined): string | null {
  return typeof value === "number" ? latency(value) : null;
}

/** `12 in, 34 out (20 of it thinking)`. */
function tokenLine(usage: Usage): string {
  const { prompt_tokens = 0, completion_tokens = 0, reasoning_tokens = 0 } = usage;
  const words = reasoning_tokens
    ? t("{0} in, {1} out ({2} of it thinking)", prompt_tokens, completion_tokens, reasoning_tokens)
    : t("{0} in, {1} out", prompt_tokens, completion_tokens);
  return usage.estimated ? `≈ ${words}` : words;
}
