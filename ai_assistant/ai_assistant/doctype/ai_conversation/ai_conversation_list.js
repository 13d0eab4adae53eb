frappe.listview_settings["AI Conversation"] = {
	add_fields: ["message_count", "user"],
	hide_name_column: true,
	hide_name_filter: true,

	get_indicator(doc) {
		if (!doc.message_count) return [__("Empty"), "gray", "message_count,=,0"];
		return doc.user === frappe.session.user
			? [__("Yours"), "blue", `user,=,${doc.user}`]
			: [__("Other User"), "green", `user,=,${doc.user}`];
	},

	button: {
		show: (doc) => doc.user === frappe.session.user,
		get_label: () => __("Chat"),
		get_description: () => __("Go on with this conversation"),
		action: (doc) => frappe.set_route("ai-chat", doc.name),
	},
};
