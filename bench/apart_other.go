//go:build !linux

package main

func setApart(string) {}
