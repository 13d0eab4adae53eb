// What the Desk's forms and the page AI Chat load, by `frappe.require`. `bench build` makes it from frontend/.
import "../../../frontend/desk/src/index.ts";
