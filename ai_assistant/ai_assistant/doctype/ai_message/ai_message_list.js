frappe.listview_settings["AI Message"] = {
	add_fields: ["status", "role"],
	hide_name_column: true,

	get_indicator(doc) {
		const colours = {
			streaming: "blue",
			completed: "green",
			failed: "red",
			cancelled: "gray",
			interrupted: "orange",
		};
		return [__(doc.status), colours[doc.status] || "gray", `status,=,${doc.status}`];
	},
};
