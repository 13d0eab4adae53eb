const COLOURS = {
	running: "blue",
	completed: "green",
	failed: "red",
	cancelled: "gray",
	interrupted: "orange",
};

frappe.ui.form.on("AI Trace", {
	async refresh(frm) {
		frm.disable_save();
		frm.page.set_indicator(__(frm.doc.status), COLOURS[frm.doc.status] || "gray");
		warn_of_gaps(frm);
		add_buttons(frm);
		hide_delete(frm);
		if (!frappe.ai_assistant) await frappe.require("ai_assistant.bundle.js");
		const [figures, tree] = ["figures", "tree"].map((name) => frm.get_field(name).$wrapper);
		if (frappe.ai_assistant) {
			frappe.ai_assistant.showTrace({ figures: figures.get(0), tree: tree.get(0) }, frm.doc.name);
		} else {
			tree.html(
				__("The observations are not shown here, since {0} was not run yet. They are in the list AI Observation.", [
					"<code>bench build --app ai_assistant</code>",
				])
			);
		}
	},
});

/** Who reads it should know that it does not tell everything. */
function warn_of_gaps(frm) {
	frm.set_intro("");
	if (!frm.doc.missing_events) return;
	frm.set_intro(
		__("{0} events of this trace are missing: they were lost before they were stored, or are on their way.", [
			frm.doc.missing_events,
		]),
		"red"
	);
}

function add_buttons(frm) {
	if (frm.doc.status === "running") frm.add_custom_button(__("Reload"), () => frm.reload_doc());
	if (frm.doc.conversation) {
		frm.add_custom_button(__("Conversation"), () =>
			frappe.set_route("Form", "AI Conversation", frm.doc.conversation)
		);
	}
	if (!frm.perm[1]?.read) return;
	for (const [format, label] of [
		["json", __("JSON")],
		["otlp", __("OpenTelemetry (JSON)")],
	]) {
		frm.add_custom_button(label, () => download(frm.doc.name, format), __("Export"));
	}
}

/** Frappe offers it to everybody who may delete any, and refuses afterwards. */
function hide_delete(frm) {
	if (frm.doc.user === frappe.session.user || frappe.user.has_role("System Manager")) return;
	frm.page.menu.find(`[data-label="${encodeURIComponent(__("Delete"))}"]`).closest("li").hide();
}

function download(trace, format) {
	const query = new URLSearchParams({ trace, format });
	window.open(`/api/method/ai_assistant.api.export_trace?${query}`);
}
