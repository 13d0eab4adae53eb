frappe.listview_settings["AI Trace"] = {
	add_fields: ["status", "missing_events", "user"],
	hide_name_column: true,
	hide_name_filter: true,

	onload(listview) {
		if (!frappe.user.has_role(["System Manager", "AI Trace Reviewer"])) return;
		listview.page.add_menu_item(__("Dead Letters"), show_dead_letters);
	},

	// a trace with a gap is said to be so first: what it does not tell may matter more
	get_indicator(doc) {
		const colours = {
			running: "blue",
			completed: "green",
			failed: "red",
			cancelled: "gray",
			interrupted: "orange",
		};
		if (doc.missing_events) return [__("{0} events missing", [doc.missing_events]), "red", "missing_events,>,0"];
		return [__(doc.status), colours[doc.status] || "gray", `status,=,${doc.status}`];
	},

	formatters: {
		duration_ms: (value) => duration(value),
	},
};

function duration(ms) {
	if (!ms) return "";
	return ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** Events of traces that could not be stored, with a way to try them again. */
async function show_dead_letters() {
	if (!frappe.ai_assistant) await frappe.require("ai_assistant.bundle.js");
	if (!frappe.ai_assistant) {
		frappe.msgprint(
			__("The list is not built on this bench. Run {0}, then reload this page.", [
				"<code>bench build --app ai_assistant</code>",
			])
		);
		return;
	}
	const element = frappe.ai_assistant.deadLetters();
	const dialog = new frappe.ui.Dialog({
		title: __("Dead Letters"),
		size: "extra-large",
		primary_action_label: __("Retry All"),
		primary_action: () => element.retryAll(),
		secondary_action_label: __("Close"),
		secondary_action: () => dialog.hide(),
		on_hide: () => dialog.$wrapper.remove(),
	});
	dialog.$body.append(element);
	dialog.show();
	element.load();
}
