frappe.listview_settings["AI Model"] = {
	add_fields: ["enabled"],
	default_model: null,

	async onload(listview) {
		this.default_model = await find_default();
		if (this.default_model) listview.refresh();
	},

	get_indicator(doc) {
		if (!doc.enabled) return [__("Disabled"), "gray", "enabled,=,0"];
		if (doc.name === this.default_model) return [__("Default"), "blue", `name,=,${doc.name}`];
		return [__("Enabled"), "green", "enabled,=,1"];
	},
};

/** Name of the model that answers where a request names none. Asked quietly: the list is of use without it. */
async function find_default() {
	try {
		const answer = await fetch("/api/method/ai_assistant.api.get_models");
		const models = answer.ok ? (await answer.json()).message : [];
		return models.find((model) => model.is_default)?.name ?? null;
	} catch {
		return null;
	}
}
