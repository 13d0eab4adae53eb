frappe.listview_settings["AI Conversation"] = {
	add_fields: ["message_count", "user"],
	hide_name_column: true,
	hide_name_filter: true,

	// how much was said, and whether it is the person's own: the number has no column on a narrow list
	get_indicator(doc) {
		const count = doc.message_count || 0;
		const words = count === 1 ? __("1 message") : __("{0} messages", [count]);
		if (!count) return [__("Empty"), "gray", "message_count,=,0"];
		return [words, doc.user === frappe.session.user ? "blue" : "green", `user,=,${doc.user}`];
	},

	button: {
		show: (doc) => doc.user === frappe.session.user,
		get_label: () => __("Chat"),
		get_description: () => __("Go on with this conversation"),
		action: (doc) => frappe.set_route("ai-chat", doc.name),
	},
};
