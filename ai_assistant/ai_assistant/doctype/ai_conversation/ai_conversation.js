frappe.ui.form.on("AI Conversation", {
	async refresh(frm) {
		if (frm.is_new()) return;
		if (frm.doc.user === frappe.session.user) {
			frm.add_custom_button(__("Open in Chat"), () => frappe.set_route("ai-chat", frm.doc.name));
		}
		if (!frappe.ai_assistant) await frappe.require("ai_assistant.bundle.js");
		const place = frm.get_field("transcript").$wrapper;
		if (frappe.ai_assistant) frappe.ai_assistant.showTranscript(place.get(0), frm.doc.name);
		else {
			place.html(
				__("The messages are not shown here, since {0} was not run yet. See them under Connections.", [
					"<code>bench build --app ai_assistant</code>",
				])
			);
		}
	},
});
