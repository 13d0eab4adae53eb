frappe.ui.form.on("AI Observation", {
	async refresh(frm) {
		frm.disable_save();
		const colours = {
			running: "blue",
			completed: "green",
			failed: "red",
			cancelled: "gray",
			interrupted: "orange",
		};
		frm.page.set_indicator(__(frm.doc.status), colours[frm.doc.status] || "gray");
		frm.add_custom_button(__("Trace"), () => frappe.set_route("Form", "AI Trace", frm.doc.trace));
		if (!frappe.ai_assistant) await frappe.require("ai_assistant.bundle.js");
		const [figures, payloads] = ["figures", "payloads"].map((name) => frm.get_field(name).$wrapper);
		if (frappe.ai_assistant) {
			const places = { figures: figures.get(0), payloads: payloads.get(0) };
			frappe.ai_assistant.showObservation(places, frm.doc, Boolean(frm.perm[1]?.read));
		} else {
			payloads.html(
				__("What was written is not shown here, since {0} was not run yet.", [
					"<code>bench build --app ai_assistant</code>",
				])
			);
		}
	},
});
