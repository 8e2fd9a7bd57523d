package cachetest

// Record records all requests again, as CACHECONTROL_RECORD=1 does.
func Record() Option { return func(o *options) { o.mode = recordAll } }

// RecordMissing records requests without a recording, as CACHECONTROL_RECORD=missing does.
func RecordMissing() Option { return func(o *options) { o.mode = recordMissing } }
