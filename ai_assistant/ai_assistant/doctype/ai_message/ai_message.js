frappe.ui.form.on("AI Message", {
	async refresh(frm) {
		frm.disable_save();
		frm.add_custom_button(__("Conversation"), () =>
			frappe.set_route("Form", "AI Conversation", frm.doc.conversation)
		);
		if (!frappe.ai_assistant) await frappe.require("ai_assistant.bundle.js");
		const place = frm.get_field("rendered").$wrapper;
		if (frappe.ai_assistant) frappe.ai_assistant.showMessage(place.get(0), frm.doc);
	},
});
