package page

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// doneTexts describe changes by name.
var doneTexts = map[string]string{
	"drop":   "The responses of the URL have been removed.",
	"prefix": "Responses whose URLs begin so are validated before they are used again.",
	"group":  "Responses in the group are validated before they are used again.",
	"clear":  "All responses have been removed.",
}

// changeTime is the limit of a change.
const changeTime = 30 * time.Second

// post makes a change, and shows the entries.
func (h *Handler) post(w http.ResponseWriter, r *http.Request, name string) {
	switch err := h.cross.Check(r); {
	case !h.config.Changes:
		http.Error(w, "The pages only read. See inspect.AllowChanges.", http.StatusForbidden)
		return
	case err != nil:
		http.Error(w, "Another site has caused the request.", http.StatusForbidden)
		return
	case doneTexts[name] == "":
		http.Error(w, "There is no such change.", http.StatusNotFound)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "The form cannot be read.", http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), changeTime)
	defer cancel()
	if err := h.change(ctx, name, r.PostForm); err != nil {
		http.Error(w, masked(strings.ToValidUTF8(err.Error(), "")), http.StatusBadRequest)
		return
	}
	w.Header().Set("Location", "entries?done="+name)
	w.WriteHeader(http.StatusSeeOther)
}

func (h *Handler) change(ctx context.Context, name string, form url.Values) error {
	if name == "clear" {
		return h.t.Clear(ctx)
	}
	u, err := url.Parse(strings.TrimSpace(form.Get("url")))
	switch {
	case err != nil:
		return err
	case name == "prefix":
		return h.t.InvalidatePrefix(ctx, u)
	case name == "group":
		return h.t.InvalidateGroup(ctx, u, form.Get("group"))
	}
	return h.t.Invalidate(ctx, u)
}
