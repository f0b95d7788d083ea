package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"daybook/internal/bench"
)

// printBench prints a table with Daybook's rows above those of its baselines.
func printBench(out io.Writer, result benchResult) error {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = text.FormatDefault
	t.AppendHeader(table.Row{"benchmark", "flush", "what", "callers", "a second", "p50 ms", "p99 ms", "CPU µs", "Daybook is", "target", "met"})
	var right []table.ColumnConfig
	for _, column := range []string{"callers", "a second", "p50 ms", "p99 ms", "CPU µs", "Daybook is", "target"} {
		right = append(right, table.ColumnConfig{Name: column, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(right)
	var last bench.Row
	var notes strings.Builder
	for _, row := range result.Rows {
		if row.Note != "" {
			fmt.Fprintf(&notes, "%s, %s flush, %s: %s.\n", row.Benchmark, row.Flush, row.Variant, row.Note)
		}
		if last.Benchmark != "" && (row.Benchmark != last.Benchmark || row.Flush != last.Flush) {
			t.AppendSeparator()
		}
		last = row
		t.AppendRow(table.Row{
			row.Benchmark, row.Flush, row.Variant, row.Callers, grouped(row.PerSecond),
			fmt.Sprintf("%.1f", row.P50Ms), fmt.Sprintf("%.1f", row.P99Ms), micros(row.CPUMicros), times(row.Ratio), target(row.Target), met(row),
		})
	}
	shown := t.Render() + "\n"
	if len(result.Rows) == 0 {
		shown = ""
	}
	if len(result.Growth) > 0 {
		shown += growthTable(result.Growth) + "\n"
	}
	_, err := fmt.Fprintf(out, "%sdaybook %s, %s, %s, %d CPUs, PostgreSQL %s; each measurement %g s or its number of attempts, %s.\n"+
		"CPU µs: processor time of callers, program and database together, for one operation. Daybook is: its rate divided by the baseline's;\n"+
		"if operations arrive at a constant rate, the baseline's p50 divided by its own.\n%s",
		shown, result.Version, result.Go, result.Platform, result.CPUs, result.Postgres, result.Seconds, repeated(result.Runs), notes.String())
	return err
}

// growthTable has a line for each figure, and two columns for each size of the log: the figure, and
// its cost against the smallest log.
func growthTable(figures []bench.Figure) string {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = text.FormatDefault
	header, columns := table.Row{"growth", "unit"}, []table.ColumnConfig{}
	for i, point := range figures[0].Points {
		header = append(header, grouped(float64(point.Events))+" events")
		if i > 0 {
			header = append(header, "cost")
		}
	}
	for number := 3; number <= len(header); number++ {
		columns = append(columns, table.ColumnConfig{Number: number, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.AppendHeader(append(header, "costs more"))
	t.SetColumnConfigs(columns)
	for _, figure := range figures {
		line, costsMore := table.Row{figure.Name, figure.Unit}, ""
		for i, point := range figure.Points {
			line = append(line, precise(point.Value))
			if i > 0 {
				line = append(line, fmt.Sprintf("%.2f ×", point.Cost))
			}
			if point.CostsMore {
				costsMore = "yes"
			}
		}
		t.AppendRow(append(line, costsMore))
	}
	return t.Render()
}

// precise writes a small number with one more digit.
func precise(number float64) string {
	if number < 100 {
		return fmt.Sprintf("%.1f", number)
	}
	return grouped(number)
}

func repeated(runs int) string {
	if runs <= 1 {
		return "once"
	}
	return fmt.Sprintf("the medians of %d runs", runs)
}

func micros(cpu float64) string {
	if cpu == 0 {
		return ""
	}
	return grouped(cpu)
}

func times(ratio float64) string {
	switch {
	case ratio == 0:
		return ""
	case ratio < 10:
		return fmt.Sprintf("%.2f ×", ratio)
	}
	return fmt.Sprintf("%.0f ×", ratio)
}

func target(t *bench.Target) string {
	switch {
	case t == nil:
		return ""
	case t.PerSecond == 0:
		return fmt.Sprintf("p99 < %g", t.P99Ms)
	case t.P99Ms > 0:
		return fmt.Sprintf("%s, p99 < %g", grouped(t.PerSecond), t.P99Ms)
	}
	return grouped(t.PerSecond)
}

func met(row bench.Row) string {
	switch {
	case row.Target == nil:
		return ""
	case row.Met:
		return "yes"
	}
	return "no"
}

// grouped writes a whole number with its thousands set apart.
func grouped(number float64) string {
	digits := strconv.FormatFloat(number, 'f', 0, 64)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}
