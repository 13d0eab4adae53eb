frappe.ui.form.on("AI Assistant Settings", {
	setup(frm) {
		const enabled = () => ({ filters: { enabled: 1 } });
		frm.set_query("default_model", enabled);
		frm.set_query("model", "modes", enabled);
	},

	refresh(frm) {
		frm.add_custom_button(__("Check Again"), () => show_service(frm));
		show_service(frm);
	},
});

const GOOD = "green";
const FAIR = "yellow";
const BAD = "red";

/** What runs behind this site: asked anew each time the form is shown. */
async function show_service(frm) {
	let status;
	try {
		const answer = await fetch("/api/method/ai_assistant.api.status");
		if (!answer.ok) throw new Error(__("The service answered with status {0}.", [answer.status]));
		status = (await answer.json()).message;
	} catch (error) {
		frm.set_intro(__("The state of the service could not be read: {0}", [text(error.message)]), BAD);
		return;
	}
	const [words, colour] = headline(status);
	frm.set_intro("");
	frm.set_intro(words, colour);
	frm.get_field("service_status").$wrapper.html(table(status));
}

/** One sentence with what to do, and its colour. */
function headline(status) {
	const workers = status.workers || [];
	const setup = "<code>bench ai-assistant setup-worker</code>";
	if (!status.redis?.ok) {
		return [__("Redis does not answer: no chat can be started. Start the bench's Redis (redis_queue)."), BAD];
	}
	if (workers.some(is_daemon)) {
		const many = workers.filter(is_daemon).length;
		return [many === 1 ? __("A worker runs as a daemon.") : __("{0} workers run as daemons.", [many]), GOOD];
	}
	const advice = __("A daemon is recommended: it answers sooner and leaves the bench's background workers to others. {0} sets it up.", [setup]);
	if (workers.length) return [`${__("A worker runs as a background job.")} ${advice}`, FAIR];
	return [`${__("No worker runs now; the first chat starts one as a background job.")} ${advice}`, FAIR];
}

function is_daemon(worker) {
	return worker.kind !== "job";
}

function table(status) {
	const workers = status.workers || [];
	const rows = [
		[__("Version"), status.version],
		[__("Redis"), status.redis?.ok ? __("answers") : __("does not answer")],
		[__("Waiting tasks"), status.backlog ?? 0],
		[__("Workers"), workers.length || __("none")],
		...workers.map((worker) => [`— ${worker.host || ""} ${worker.pid || ""}`, worker_words(worker)]),
	];
	const cells = rows.map(([name, value]) => `<tr><td class="text-muted">${text(name)}</td><td>${text(value)}</td></tr>`);
	return `<table class="table table-bordered" style="max-width: 48rem"><tbody>${cells.join("")}</tbody></table>`;
}

function worker_words(worker) {
	return [
		is_daemon(worker) ? __("daemon") : __("background job"),
		__("{0} running", [worker.running ?? 0]),
		__("{0} taken", [worker.taken ?? 0]),
		__("last heartbeat {0} s ago", [((worker.age_ms || 0) / 1000).toFixed(1)]),
		worker.stopping ? __("stopping") : "",
	]
		.filter(Boolean)
		.join(" · ");
}

function text(value) {
	return frappe.utils.escape_html(String(value ?? ""));
}
