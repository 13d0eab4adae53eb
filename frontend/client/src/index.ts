export type {
  ChatMessage,
  ChatRequest,
  Conversation,
  ConversationInfo,
  Mode,
  ModelInfo,
  StoredMessage,
  Task,
  TaskHandle,
} from "./api.ts";
export { Api } from "./api.ts";
export type { ShownTurn } from "./attempts.ts";
export { foldAttempts } from "./attempts.ts";
export type { ChatOptions, ChatSnapshot, SendOptions } from "./chat.ts";
export { ChatSession } from "./chat.ts";
export type { ClientOptions, ConnectionState } from "./client.ts";
export { AssistantClient } from "./client.ts";
export { ServerClock } from "./clock.ts";
export { Conversations } from "./conversations.ts";
export { ApiError, errorFromBody } from "./errors.ts";
export type { EventPage, ProgressEvent, Timings, Usage, WireToolCall } from "./events.ts";
export { isTerminal, parseEvent } from "./events.ts";
export type { FollowerPorts, Sync } from "./follower.ts";
export { TaskFollower } from "./follower.ts";
export type { Auth, CallOptions, HttpOptions } from "./http.ts";
export { Http } from "./http.ts";
export { newTaskId } from "./ids.ts";
export type { KeyValue } from "./pending.ts";
export type { FrappeRealtime, FrappeSocket } from "./realtime.ts";
export { FrappeRealtimeTransport } from "./realtime.ts";
export { reduce, reduceAll, settleGap } from "./reducer.ts";
export { foldTask } from "./settle.ts";
export type { SocketIoOptions } from "./socketio.ts";
export { SocketIoTransport } from "./socketio.ts";
export type { DataItem, Notice, Phase, TaskError, TaskState, TaskStatus, ToolCall } from "./state.ts";
export { hasGap, initialState, isEnded } from "./state.ts";
export type { SubjectFilter } from "./subjects.ts";
export type {
  DeadLetter,
  Observation,
  ObservationType,
  PayloadField,
  Trace,
  TraceFigures,
  TraceStatus,
  TraceTree,
} from "./traces.ts";
export type { Transport, TransportHandlers, TransportState } from "./transport.ts";
export { EVENT_NAME, NoTransport } from "./transport.ts";
export type { Turn, TurnStatus } from "./turn.ts";
export { isOpen, turnFromStored, turnFromTask } from "./turn.ts";
